"""The command `xpand`: each verb parses, calls and prints; no logic."""
