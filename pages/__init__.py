"""What people see: one thin script a page, and the frame around them."""
