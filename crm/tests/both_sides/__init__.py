"""Two sides that people work on at once, whatever goes wrong between them: played by `play`, judged by `judging`."""
