"""Choosing a rule and its parameter on development questions: by search, or with a guarantee; extra [tune]."""
