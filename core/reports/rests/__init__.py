"""What each page's answer rests on, for its report and its deck: one function a page, made when a file is asked for."""
