-- From here on the match values of a batch stand behind the members of its intent, sealed together. Older builds take
-- such an intent for damaged: the version keeps them away.
select 1;
