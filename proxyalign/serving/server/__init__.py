"""The cascade behind the protocol of OpenAI's servers: from a request to the engine's batch, and back."""
