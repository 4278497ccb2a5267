/// What administrators and the gateway itself keep beside users, keys, prices and the ledger.
public protocol AdminStore: SettingStore, AuditStore {}
