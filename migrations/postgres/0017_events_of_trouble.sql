-- What did not succeed is looked for among much that did.
create index agent_events_trouble on agent_events (ingest, id) where outcome <> 'succeeded';
