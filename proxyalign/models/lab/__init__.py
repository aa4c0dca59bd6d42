"""The lab pair: a generator of worlds and texts, the training of both models, and the weights that ship."""
