"""What can be searched: families of video networks, their arithmetic and their cost."""
