/// Settings and audit rows, which administrators and the gateway keep beside users, keys, prices and the ledger.
public protocol AdminStore: SettingStore, AuditStore {}
