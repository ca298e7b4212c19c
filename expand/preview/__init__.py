"""Pictures of what networks see of videos: single frames, clips, and contact sheets of many clips."""
