"""What networks will see of videos, as pictures: single frames, clips, and sheets of many clips."""
