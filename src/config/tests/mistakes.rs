//! One mistake, one error.

use super::changed;

/// One mistake each: what is exchanged in [`WHOLE`], and what the only error then says.
#[test]
fn each_kind_of_mistake_has_its_error() {
    let table: &[(&str, &str, &str)] = &[
        ("[sources.w]", "[source.w]", "a.toml:2:2: error: unknown table or key `source`"),
        ("type = \"sqlite\"", "type = \"snowflake\"", "`snowflake` is not available in this version"),
        ("type = \"sqlite\"", "type = \"sqlit\"", "did you mean `sqlite`?"),
        ("type = \"sqlite\"\n", "", "a.toml:2:1: error: source `w` has no `type`"),
        ("path = \"w.db\"", "path = 7", "got an integer, expected a text"),
        ("path = \"w.db\"", "path = \"\"", "got an empty text"),
        ("path = \"w.db\"", "pth = \"w.db\"", "did you mean `path`?"),
        ("path = \"w.db\"", "path = { env = \"A\", file = \"b\" }", "got 2 of `env`, `file` and `command`"),
        ("path = \"w.db\"", "path = {}", "one of `env`, `file`, `command` is required"),
        ("path = \"w.db\"", "path = \"w.db\"\nstatement_timeout = \"2 min\"", "expected a duration"),
        ("path = \"w.db\"", "path = \"w.db\"\npath = \"x.db\"", "duplicate key"),
        (
            "[sources.w]",
            "[sources.\"w w\"]\ntype = \"sqlite\"\npath = \"x\"\n[sources.w]",
            "the name of source `w w` is not valid",
        ),
        ("source = \"w\"", "source = \"warehouse\"", "add `[sources.warehouse]`"),
        ("primary_key = \"id\"\n", "", "model `m` has no `primary_key`"),
        ("primary_key = \"id\"", "primary_key = [\"id\", \"id\"]", "column `id` is named twice"),
        ("table = \"t\"", "table = \"t\"\nsql = \"select 1\"", "got `sql` and `table`, expected one"),
        ("table = \"t\"", "", "model `m` has no `sql`"),
        ("table = \"t\"", "sql_file = \"no.sql\"", "the path is relative to the file that names it"),
        ("token = { env = \"T\" }", "token = \"secret-canary\"", "may not stand in the configuration"),
        ("token = { env = \"T\" }\n", "", "destination `d` has no `token`"),
        ("token = { env = \"T\" }", "token = { env = \"T\" }\naccount = 4242", "put it in quotes"),
        ("token = { env = \"T\" }", "token = { env = \"T\" }\nauth = {}", "got `token` and `auth`, expected one"),
        ("token = { env = \"T\" }", "auth = {}", "`auth` of destination `d` has no `oauth`"),
        ("token = { env = \"T\" }", "auth = { oauth2 = {} }", "did you mean `oauth`?"),
        (
            "token = { env = \"T\" }",
            "auth = { oauth = { client_id = \"i\", client_secret = { env = \"S\" } } }",
            "a.toml:11:18: error: `oauth` in `auth` of destination `d` has no `refresh_token`",
        ),
        (
            "token = { env = \"T\" }",
            "auth = { oauth = { client_id = \"i\", client_secret = \"canary\", refresh_token = { env = \"R\" } } }",
            "may not stand in the configuration",
        ),
        ("path = \"/x\"", "path = \"/x\"\nauth = {}", "one of `basic`, `header`, `query`, `oauth2` is required"),
        ("path = \"/x\"", "path = \"/x\"\nauth = 7", "got an integer, expected a table"),
        ("path = \"/x\"", "path = \"/x\"\nauht = {}", "did you mean `auth`?"),
        (
            "path = \"/x\"",
            "path = \"/x\"\nauth = { basic = { user = \"u\", password = { env = \"P\" } }, query = { name = \"k\", value = { env = \"P\" } } }",
            "got 2 kinds of authentication",
        ),
        ("path = \"/x\"", "path = \"/x\"\nauth = { basic = { user = \"u\" } }", "has no `password`"),
        (
            "path = \"/x\"",
            "path = \"/x\"\nauth = { header = { name = \"a b\", value = { env = \"P\" } } }",
            "got `a b`, expected a header name",
        ),
        (
            "path = \"/x\"",
            "path = \"/x\"\nauth = { header = { name = \"x-key\", value = \"canary\" } }",
            "may not stand in the configuration",
        ),
        (
            "path = \"/x\"",
            "path = \"/x\"\nauth = { oauth2 = { client_id = \"i\", client_secret = { env = \"S\" } } }",
            "has no `token_url`",
        ),
        (
            "path = \"/x\"",
            "path = \"/x\"\nauth = { oauth2 = { token_url = \"https://127.0.0.1/t\", client_id = \"i\", client_secret = { env = \"S\" } } }",
            "allow it with `allow_private = [\"127.0.0.1/32\"]`",
        ),
        (
            "path = \"/x\"",
            "path = \"/x\"\nauth = { oauth2 = { token_url = \"http://auth.example.com/t\", client_id = \"i\", client_secret = { env = \"S\" } } }",
            "plain `http` would send the client's secret unencrypted",
        ),
        (
            "path = \"/x\"",
            "path = \"/x\"\nauth = { oauth2 = { token_url = \"https://a.b/t\", client_id = \"i\", client_secret = { env = \"S\" }, style = \"form\" } }",
            "expected `body`, `basic`",
        ),
        ("https://api.example.com", "ftp://api.example.com", "got scheme `ftp`"),
        ("https://api.example.com", "api.example.com", "cannot be parsed as a URL"),
        ("https://api.example.com", "https://u:p@api.example.com", "credentials belong into `token`"),
        ("https://api.example.com", "http://127.0.0.1:1", "allow it with `allow_private = [\"127.0.0.1/32\"]`"),
        ("https://api.example.com", "http://[::ffff:10.0.0.1]", "10.0.0.1 is a loopback or private address"),
        ("https://api.example.com", "http://localhost", "127.0.0.1 is a loopback"),
        ("path = \"/x\"", "path = \"/x\"\nallow_private = [\"10.0.0.0/33\"]", "expected an address range"),
        ("path = \"/x\"", "path = \"x\"", "start it with `/`"),
        ("path = \"/x\"", "path = \"/x\"\nmethod = \"GET\"", "expected `POST`, `PUT`, `PATCH`"),
        ("path = \"/x\"", "path = \"/x\"\nenvelope = \"rows\"", "`batch_size` is 1"),
        ("path = \"/x\"", "path = \"/x\"\nidempotency_header = \"a b\"", "expected a header name"),
        (
            "path = \"/x\"",
            "path = \"/x\"\nresults = { rows = \"a.b\", status = \"/s\", success = [true] }",
            "write `rows = \"/a/b\"`",
        ),
        ("path = \"/x\"", "path = \"/x\"\nrequest_timeout = 60", "expected a duration"),
        ("path = \"/x\"", "path = \"/x\"\nstatic = { a = 1.5 }", "expected a text, an integer or a boolean"),
        ("path = \"/x\"", "path = \"/x\"\nsigning = { standard_webhooks = \"whsec_canary\" }", "may not stand in"),
        (
            "path = \"/x\"",
            "path = \"/x\"\nsigning = { standard_webhook = { env = \"A\" } }",
            "did you mean `standard_webhooks`?",
        ),
        ("model = \"m\"\n", "", "sync `s` has no `model`"),
        ("destination = \"d\"", "destination = \"e\"", "sync `s` names destination `e`"),
        ("match = \"email\"", "match = \"mail\"", "did you mean `email`?"),
        ("match = \"email\"", "match = [\"email\", \"name\"]", "is not available in this version"),
        ("match = \"email\"", "match = \"email\"\nmode = \"append\"", "`append` is not available"),
        ("match = \"email\"", "match = \"email\"\nmode = \"mirror\"\non_removed = \"keep\"", "got `keep`"),
        ("match = \"email\"", "match = \"email\"\nfirst_run = \"adopt\"", "`adopt` is not available"),
        ("match = \"email\"", "match = \"email\"\nschedule = \"15m\"", "expected `manual` or a table"),
        ("match = \"email\"", "match = \"email\"\nschedule = { cron = \"0 3 * *\" }", "a.toml:21:21: error: `cron`"),
        ("match = \"email\"", "match = \"email\"\nschedule = { cron = \"0 0 3 * * *\" }", "got 6 fields, expected 5"),
        ("match = \"email\"", "match = \"email\"\nschedule = { cron = \"0 25 * * *\" }", "got `0 25 * * *`"),
        ("match = \"email\"", "match = \"email\"\nschedule = { cron = \"0 0 31 2 *\" }", "no such date exists"),
        (
            "match = \"email\"",
            "match = \"email\"\nschedule = { cron = \"0 3 * * *\", timezone = \"Europe/Berln\" }",
            "did you mean `Europe/Berlin`?",
        ),
        (
            "match = \"email\"",
            "match = \"email\"\nschedule = { every = \"1h\", timezone = \"UTC\" }",
            "only a `cron` schedule follows a zone's clock",
        ),
        (
            "match = \"email\"",
            "match = \"email\"\nschedule = { every = \"1h\", cron = \"0 3 * * *\" }",
            "got 2 of `every`, `cron` and `after`",
        ),
        ("match = \"email\"", "match = \"email\"\nschedule = { after = [] }", "got an empty list"),
        ("match = \"email\"", "match = \"email\"\nschedule = { after = [\"x\"] }", "no such sync is configured"),
        ("match = \"email\"", "match = \"email\"\nschedule = { after = \"s\" }", "sync `s` waits for itself"),
        ("match = \"email\"", "match = \"email\"\nmax_age = \"1s\"", "expected 1m to 366d"),
        ("match = \"email\"", "match = \"email\"\nschedule = {}", "has no `every`"),
        ("match = \"email\"", "match = \"email\"\nschedule = { every = \"10ms\" }", "expected 1s to 31d"),
        ("match = \"email\"", "match = \"email\"\nenabled = \"no\"", "expected a boolean"),
        ("match = \"email\"", "match = \"email\"\nremap = \"later\"", "`remap` is not available"),
        ("match = \"email\"", "match = \"email\"\nguard = { max_removed = 10 }", "expected a percentage"),
        ("match = \"email\"", "match = \"email\"\nguard = { max_removed = \"110%\" }", "from \"0%\" to \"100%\""),
        ("match = \"email\"", "match = \"email\"\nguard = { max_remove = \"1%\" }", "did you mean `max_removed`"),
        ("match = \"email\"", "match = \"email\"\nguard = { fresh = \"1h\" }", "`fresh` is not available"),
        ("[syncs.s.fields]", "[syncs.s.feilds]\nx = 1\n[syncs.s.fields]", "did you mean `fields`?"),
        ("email = \"email\"\nname = \"name\"\n", "", "it is empty"),
        ("name = \"name\"", "mode = \"mirror\"", "a.toml:23:1: error: `mode` is a key of sync `s`, but"),
        ("name = \"name\"", "enabled = false", "`enabled` is a key of sync `s`, but"),
        ("name = \"name\"", "name = 7", "write a constant as name = { value = … }"),
        ("name = \"name\"", "name = { colum = \"name\" }", "did you mean `column`?"),
        ("name = \"name\"", "name.first = \"name\"", "quote the whole name: \"name.NAME\""),
        ("name = \"name\"", "name = { column = \"a\", value = 1 }", "got `column` and `value`"),
        ("name = \"name\"", "name = { value = 1, as = \"text\" }", "a constant is sent as it is"),
        ("name = \"name\"", "name = { value = nan }", "a finite number"),
        ("name = \"name\"", "name = { value = 99999999999999999999 }", "does not fit 64 bits"),
        ("name = \"name\"", "name = { column = \"a\", as = \"int\" }", "did you mean `integer`?"),
        ("name = \"name\"", "name = { column = \"a\", as = \"list\" }", "`list` is not available"),
        ("name = \"name\"", "name = { column = \"a\", scale = 2 }", "it belongs to `as = \"decimal\"`"),
        ("name = \"name\"", "name = { template = \"x\" }", "`template` is not available"),
        ("name = \"name\"", "\"name.\" = \"name\"", "a part of the name is empty"),
        ("name = \"name\"", "\"email.x\" = \"name\"", "a value and an object at once"),
        ("name = \"name\"", "\"*\" = [\"id\"]", "`\"*\"` of sync `s` is not a table"),
        ("email = \"email\"", "email = { value = \"x\" }", "every row would be the same record"),
        (
            "destination = \"d\"\nobject = \"contacts\"\nmatch = \"email\"\n[syncs.s.fields]\nemail = \"email\"",
            "destination = \"h\"\nobject = \"x\"\nmatch = \"email\"\nmode = \"mirror\"\n[syncs.s.fields]\nemail = \"id\"",
            "has no `delete_path`",
        ),
        ("destination = \"d\"", "destination = \"h\"\non_removed = \"clear\"", "known only by its key"),
        ("type = \"hubspot\"", "tpye = \"hubspot\"", "did you mean `type`?"),
        ("model = \"m\"", "modle = \"m\"", "did you mean `model`?"),
        ("table = \"t\"", "tabel = \"t\"", "did you mean `table`?"),
        ("email = \"email\"", "email = 7", "`email` of sync `s` is not a column"),
        ("{ env = \"T\" }", "{ evn = \"T\" }", "did you mean `env`?"),
        ("[sources.w]", "environment = 1\n[sources.w]", "`environment` is not a label"),
        ("[sources.w]", "[state]\nurl = \"postgres://h/d\"\n[sources.w]", "`postgres://` is not available"),
        ("[sources.w]", "[state]\nkey = \"canary\"\n[sources.w]", "may not stand in the configuration"),
        ("[sources.w]", "[log]\nlevel = \"verbose\"\n[sources.w]", "`level` of [log] is not valid"),
        ("[sources.w]", "[scheduler]\nmax_runs = 0\n[sources.w]", "got 0, expected 1 to 64"),
    ];
    for (from, to, expected) in table {
        let error = changed(from, to).expect_err(to);
        assert!(error.contains(expected), "{to}: expected {expected}, got\n{error}");
        assert!(!error.contains("canary"), "{error}");
        assert_eq!(error.matches(": error: ").count(), 1, "{to}: one mistake is one error\n{error}");
    }
}

/// One mistake each in an operation of an object.
#[test]
fn each_mistake_of_an_operation_has_its_error() {
    let table: &[(&str, &str)] = &[
        ("[destinations.h.objects.o.upsrt]\npath = \"/x\"", "did you mean `upsert`?"),
        ("[destinations.h.objects.o.upsert]", "has no `path`"),
        ("objects = 7", "expected a table"),
        ("objects = { o = 7 }", "object `o` of destination `h` is not a table"),
        ("[destinations.h.objects.o.upsert]\npath = \"x\"", "start it with `/`"),
        (
            "[destinations.h.objects.o.upsert]\npath = \"/{{ object\"",
            "a.toml:17:8: error: `path` of operation `upsert`",
        ),
        ("[destinations.h.objects.o.upsert]\npath = \"/{{ objct }}\"", "did you mean `object`?"),
        ("[destinations.h.objects.o.upsert]\npath = \"/{{ record_id }}\"", "ids are known where an answer names them"),
        (
            "[destinations.h.objects.o.upsert]\npath = \"/x\"\nmethod = \"GET\"",
            "expected `POST`, `PUT`, `PATCH`, `DELETE`",
        ),
        (
            "[destinations.h.objects.o.upsert]\npath = \"/x\"\nbody = \"{{ email }}\"",
            "a record's fields are `record.NAME`",
        ),
        ("[destinations.h.objects.o.upsert]\npath = \"/x\"\nbody = \"{{ record | nope }}\"", "the template is wrong"),
        (
            "[destinations.h.objects.o.upsert]\npath = \"/x\"\nbody = \"{{ record }}\"\nbatch_size = 5",
            "it names `record`",
        ),
        ("[destinations.h.objects.o.upsert]\npath = \"/x\"\nbody = \"1\"\nenvelope = \"a\"", "`body` is a template"),
        ("[destinations.h.objects.o.upsert]\npath = \"/x\"\nenvelope = \"a\"", "`batch_size` is 1"),
        ("[destinations.h.objects.o.upsert]\npath = \"/x\"\nidempotency_field = \"a\"", "only inserted rows"),
        ("[destinations.h.objects.o.upsert]\npath = \"/x\"\nheaders = { A = \"{{ nobody }}\" }", "it names `nobody`"),
        ("[destinations.h.objects.o.upsert]\npath = \"/x\"\nsuccess = [99]", "expected a status from 200 to 599"),
        ("[destinations.h.objects.o.upsert]\npath = \"/x\"\nsuccess = []", "got an empty list"),
        (
            "[destinations.h.objects.o.upsert]\npath = \"/x\"\npermanent = [\"200-204\"]",
            "stands in `success` and in `permanent`",
        ),
        ("[destinations.h.objects.o.upsert]\npath = \"/x\"\nrecord_id = \"id\"", "write `record_id = \"/id\"`"),
        (
            "[destinations.h.objects.o.upsert]\npath = \"/x\"\nrecord_id = \"/id\"\nbatch_size = 2",
            "an answer to several records names none",
        ),
        (
            "[destinations.h.objects.o]\nupsert = { path = \"/x\", record_id = \"/id\" }\ndelete = { path = \"/x\" }",
            "use `{{ record_id }}` in it",
        ),
        (
            "[destinations.f]\ntype = \"file\"\npath = \"out/x.csv\"\nformat = \"csv\"",
            "each run writes a file of its own",
        ),
        ("[destinations.f]\ntype = \"file\"\npath = \"{run}\"\nformat = \"xml\"", "expected `jsonl`, `csv`"),
        ("[destinations.f]\ntype = \"file\"\npath = \"{run}\"", "has no `format`"),
        (
            "[destinations.f]\ntype = \"file\"\npath = \"{run}\"\nformat = \"csv\"\nlimits = { daily = 1 }",
            "unknown key `limits`",
        ),
    ];
    for (to, expected) in table {
        let error = changed("path = \"/x\"", &format!("path = \"/x\"\n{to}")).expect_err(to);
        assert!(error.contains(expected), "{to}: expected {expected}, got\n{error}");
        assert_eq!(error.matches(": error: ").count(), 1, "{to}: one mistake is one error\n{error}");
    }
}
