"""What every room stands on: files, streams, images, the user's errors, time."""
