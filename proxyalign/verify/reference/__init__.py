"""The second route, by hand: knapsacks in whole numbers, sets from their definitions, speculation written down."""
