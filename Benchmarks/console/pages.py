"""The calls that each page of the console makes, as web/pages/*.js and web/lib/*.js make them, by who sees the page."""

import time
from urllib.parse import quote

ZONE = "Europe%2FBerlin"


def calls(known):
    """(role, page, label, path). `known` has what ids and names the filled database has; a path may have %d, the number of the repetition."""
    now = int(time.time()) // 60 * 60
    hour, day = now // 3600 * 3600, now // 86_400 * 86_400
    month, week = day - 29 * 86_400, day - 6 * 86_400
    model, channel, user, key = quote(known["model"], safe=""), known["channel"], known["user"], known["key"]
    return [*visitor(model), *everyone(known, model, now, hour, week, month), *admin(known, model, channel, user, key, now, hour, week, month), *root(day)]


def series(start, bucket, by, more=""):
    return f"/api/stats/series?tz={ZONE}&from={start}&bucket={bucket}&by={by}&top=7{more}"


def visitor(model):
    return [("visitor", page, label, path) for page, label, path in [
        ("every page", "status", "/api/status"),
        ("every page", "who is here", "/api/user/session"),
        ("models", "all models", "/api/models"),
        ("models", "rankings", "/api/stats/rankings?days=7"),
        ("model", "one model", f"/api/models?q={model}"),
        ("model", "its week (20 models)", "/api/stats/model?model={model%d}&days=7"),
    ]]


def everyone(known, model, now, hour, week, month):
    rows, entries = known["own_row"], known["own_entry"]
    return [("user", page, label, path) for page, label, path in [
        ("every page", "who is here", "/api/user/session"),
        ("overview", "thirty days", series(month, "day", "model")),
        ("overview", "latest failures", "/api/log/self?outcome=failed&before_id=0&page_size=5"),
        ("overview", "has a key", "/api/token?page_size=1"),
        ("usage", "seven days by key", series(week, "day", "token")),
        ("usage", "a day by key", series(hour - 23 * 3600, "hour", "token")),
        ("usage", "ninety days by key", series(now - 89 * 86_400, "day", "token")),
        ("usage", "rows of seven days", f"/api/log/self?from={week}&before_id=0&page_size=50"),
        ("usage", "further rows", f"/api/log/self?before_id={rows}&page_size=50"),
        ("usage", "by model", f"/api/log/self?model={model}&from={week}&before_id=0&page_size=50"),
        ("usage", "by key", f"/api/log/self?token_id={known['key']}&from={month}&before_id=0&page_size=50"),
        ("usage", "failures", f"/api/log/self?outcome=failed&from={month}&before_id=0&page_size=50"),
        ("usage", "cut ones", f"/api/log/self?outcome=truncated&from={month}&before_id=0&page_size=50"),
        ("usage", "one row", f"/api/log/self?request_id={known['own_request']}&before_id=0&page_size=1"),
        ("billing", "balance", "/api/balance"),
        ("billing", "ledger", "/api/balance/transactions?before_id=0&page_size=50"),
        ("billing", "further rows", f"/api/balance/transactions?before_id={entries}&page_size=50"),
        ("billing", "recharges", "/api/balance/transactions?type=recharge&before_id=0&page_size=50"),
        ("billing", "charges of seven days", f"/api/balance/transactions?type=usage&from={week}&before_id=0&page_size=50"),
        ("keys", "keys", "/api/token?sort=created&order=desc&page=1&page_size=50"),
        ("keys", "by spending", "/api/token?sort=spent&order=desc&page=1&page_size=50"),
        ("account", "sessions", "/api/user/self/sessions"),
        ("(API)", "sums of the log", f"/api/log/stat?from={month}"),
        ("(API)", "sums of all", "/api/log/stat"),
    ]]


def admin(known, model, channel, user, key, now, hour, week, month):
    users = "/api/user?page=1&page_size=50"
    tops = [(f"top by {by}, {sort}", f"/api/stats/top?from={month}&to={now}&by={by}&sort={sort}&limit=50")
            for by in ("model", "channel", "user", "token", "provider") for sort in ("cost", "errors")]
    return [("admin", page, label, path) for page, label, path in [
        ("overview", "thirty days", series(month, "day", "model")),
        ("overview", "latest failures", "/api/log?outcome=failed&before_id=0&page_size=5"),
        ("channels", "channels", "/api/channel"),
        ("channels", "providers", "/api/provider"),
        ("channels", "groups", "/api/group"),
        ("channel", "one channel", f"/api/channel/{channel}"),
        ("channel", "its day", series(hour - 23 * 3600, "hour", "none", f"&channel_id={channel}")),
        ("logs", "latest", "/api/log?before_id=0&page_size=50"),
        ("logs", "further rows", f"/api/log?before_id={known['row']}&page_size=50"),
        ("logs", "by user", f"/api/log?user_id={user}&before_id=0&page_size=50"),
        ("logs", "by a user with few rows", f"/api/log?user_id={known['quiet_user']}&before_id=0&page_size=50"),
        ("logs", "by model", f"/api/log?model={model}&before_id=0&page_size=50"),
        ("logs", "by a model that is not there", "/api/log?model=nothing&before_id=0&page_size=50"),
        ("logs", "by channel", f"/api/log?channel_id={channel}&before_id=0&page_size=50"),
        ("logs", "by provider", "/api/log?provider=vendor1&before_id=0&page_size=50"),
        ("logs", "by a provider that is not there", "/api/log?provider=nothing&before_id=0&page_size=50"),
        ("logs", "failures", "/api/log?outcome=failed&before_id=0&page_size=50"),
        ("logs", "completed", "/api/log?outcome=completed&before_id=0&page_size=50"),
        ("logs", "a day two months ago", f"/api/log?from={month - 30 * 86_400}&to={month - 29 * 86_400}&before_id=0&page_size=50"),
        ("logs", "by key, model and time", f"/api/log?token_id={key}&model={model}&from={month}&before_id=0&page_size=50"),
        ("logs", "one row", f"/api/log?request_id={known['request']}&before_id=0&page_size=50"),
        ("logs", "a user by name", f"/api/user?q=user-{user}&page_size=20"),
        ("users", "newest", f"{users}&sort=id&order=desc"),
        ("users", "by name", f"{users}&sort=username&order=asc"),
        ("users", "most balance", f"{users}&sort=balance&order=desc"),
        ("users", "least balance", f"{users}&sort=balance&order=asc"),
        ("users", "most spent", f"{users}&sort=spent&order=desc"),
        ("users", "least spent", f"{users}&sort=spent&order=asc"),
        ("users", "by creation", f"{users}&sort=created&order=desc"),
        ("users", "search", f"{users}&q=person%2077"),
        ("users", "search without a result", f"{users}&q=nobody-at-all"),
        ("users", "administrators", f"{users}&role=10"),
        ("users", "disabled", f"{users}&status=2"),
        ("users", "by group", f"{users}&group=vip&sort=balance&order=desc"),
        ("users", "page 100", "/api/user?page=100&page_size=50"),
        ("user", "one user", f"/api/user/{user}"),
        ("user", "keys", f"/api/token?user_id={user}&page=1&page_size=50"),
        ("user", "ledger", f"/api/balance/transactions?user_id={user}&before_id=0&page_size=50"),
        ("user", "requests", f"/api/log?user_id={user}&before_id=0&page_size=50"),
        ("pricing", "prices", "/api/models/pricing"),
        ("pricing", "without a price", "/api/pricing/missing"),
        ("pricing", "held", "/api/models/held"),
        ("pricing", "history", f"/api/pricing/history?model={model}"),
        ("money", "margin of thirty days", f"/api/ledger/margin?from={month}&to={now}"),
        ("money", "margin of ninety days", f"/api/ledger/margin?from={now - 90 * 86_400}&to={now}"),
        ("money", "margin of a day", f"/api/ledger/margin?from={hour - 23 * 3600}&to={now}"),
        ("money", "thirty days by channel", series(month, "day", "channel", f"&to={now}")),
        ("money", "ninety days by channel", series(now - 89 * 86_400, "day", "channel", f"&to={now}")),
        *[("money", label, path) for label, path in tops],
        ("money", "unreconciled", "/api/ledger/unreconciled?page=1&page_size=50"),
        ("routes", "explained", f"/api/route/explain?model={model}"),
        ("(API)", "sums of a month", f"/api/log/stat?from={month}"),
        ("(API)", "sums of all", "/api/log/stat"),
        ("(API)", "sums of a channel", f"/api/log/stat?channel_id={channel}&from={month}"),
    ]]


def root(day):
    return [("root", page, label, path) for page, label, path in [
        ("audit", "latest", "/api/audit?before_id=0&page_size=50"),
        ("audit", "by action", "/api/audit?action=balance.add&before_id=0&page_size=50"),
        ("audit", "an action that is not there", "/api/audit?action=secret.set&before_id=0&page_size=50"),
        ("audit", "by time", f"/api/audit?from={day - 60 * 86_400}&to={day - 59 * 86_400}&before_id=0&page_size=50"),
        ("config", "files", "/api/config"),
        ("config", "one file", "/api/config/file?path=channels.yaml"),
        ("config", "secrets", "/api/secret"),
        ("system", "system", "/api/system"),
        ("system", "set aside", "/api/ledger/poison"),
    ]]
