-- Which step a broker must know at least to use these tables. Tables that are only ahead of it are served by the version before too; a
-- step that the version before could not live with raises this.
create table schema_floor (migration bigint not null);
insert into schema_floor (migration) values (15);
