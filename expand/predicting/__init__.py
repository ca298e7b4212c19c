"""What a trained network sees in videos: files, long videos over time, cameras and streams.

`predictor.load_predictor` opens a network, whose `preprocessing.Preprocessing` says what it must be given.
`video.predict` predicts a video in a file, `stream.predict_stream` what arrives frame by frame; both make
clips as validations and tests do. `files.predict_all` predicts many videos.
"""
