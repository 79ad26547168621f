install.packages("nosuchpackage")
