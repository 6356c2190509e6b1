"""What learns: students, teachers, and the layers above them."""
