"""Search spaces: families of video networks, how they grow, and what they cost."""
