public import Metrics

/// The metrics of a process that follows a key store.
public enum KeyFileMetrics {
  public static let keys = MetricDeclaration(
    "smartcontent_ingest_keys", "Write keys of the key store that are accepted.", .gauge)
  public static let isStale = MetricDeclaration(
    "smartcontent_ingest_keys_file_stale",
    "1 while the file of write keys cannot be read and the keys read before are used.", .gauge)

  public static let catalog: [MetricDeclaration] = [keys, isStale]
}
