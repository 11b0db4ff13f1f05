"""What is done by itself once, however many hosts there are; and the bells and rounds by which such things are done."""
