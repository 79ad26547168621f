install.packages("tiny")
