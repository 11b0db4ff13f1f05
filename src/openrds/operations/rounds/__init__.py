"""What is done again and again by itself: looking after servers, volumes and schedules."""
