"""How a model reads a batch of texts: the only place that touches a KV cache, growing or of fixed shapes."""
