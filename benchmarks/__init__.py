"""xpand's own speed, as commands: `xpand bench …`."""
