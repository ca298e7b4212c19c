"""Networks in the formats that others load, and their weights back."""
