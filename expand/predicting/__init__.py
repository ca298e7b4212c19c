"""What a trained network sees in videos: files, long videos over time, cameras and streams.

video.py predicts a video in a file, stream.py what arrives frame by frame; both make clips as validations
and tests do. predictor.py opens a network of any kind, preprocessing.py says what it must be given.
"""
