-- The number of the agent's last session, 0 if it never opened one, and the version that opened it.
alter table agents add column session integer not null default 0;
alter table agents add column version text;

-- The cluster that its sessions are bound to, and others for which its key was used, the last one at the end.
alter table agents add column cluster text;
alter table agents add column refused_clusters text not null default '[]';
