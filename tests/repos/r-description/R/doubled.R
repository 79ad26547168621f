doubled <- function() 2 * answer()
