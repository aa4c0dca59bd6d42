"""Proofs of optimality that stand on their own: certificates, and the plain refutation that checks them."""
