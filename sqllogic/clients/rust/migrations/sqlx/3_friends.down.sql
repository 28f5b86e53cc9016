DROP VIEW loners;
DROP TABLE friends;
