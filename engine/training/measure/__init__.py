"""How well it has learned."""
