-- One row for each customer with an e-mail address; the key is `id`.
select id, lower(email) as email, first_name, last_name, plan, mrr, signed_up_at
from analytics.customers
where email is not null
