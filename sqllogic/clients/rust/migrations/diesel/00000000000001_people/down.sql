DROP TABLE people;
DROP TYPE color;
