"""What a user may set: bounds of numbers, configuration files, the trainer's options, memory."""
