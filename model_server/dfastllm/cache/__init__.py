"""K/V memory and the rule that says when it is reused."""
