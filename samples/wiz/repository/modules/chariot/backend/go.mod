module example.com/chariot/backend

go 1.23.0

require golang.org/x/sync v0.16.0
