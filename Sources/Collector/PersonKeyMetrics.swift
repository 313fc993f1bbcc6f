public import Metrics

/// The metrics of keys of persons.
public enum PersonKeyMetrics {
  public static let keys = MetricDeclaration(
    "smartcontent_person_keys_total",
    "Keys of persons that were not in memory, by what became of them (made, found: the person had one).",
    .counter, labels: ["outcome"])
  public static let cached = MetricDeclaration(
    "smartcontent_person_keys_cached", "Keys of persons in memory.", .gauge)
  public static let erased = MetricDeclaration(
    "smartcontent_person_keys_erased_total", "Erasures of keys of persons that were heard of.",
    .counter)
  public static let failures = MetricDeclaration(
    "smartcontent_person_key_failures_total",
    "Persons of requests who could have no key, by reason (away, overloaded, full, unreadable,"
      + " cryptography).", .counter, labels: ["reason"])
  public static let waitSeconds = MetricDeclaration(
    "smartcontent_person_key_wait_seconds",
    "How long requests waited for keys of persons that were not in memory, in seconds.",
    .histogram(bounds: [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]))
  public static let values = MetricDeclaration(
    "smartcontent_personal_values_total",
    "Personal values of keys that encrypt them, by outcome (encrypted), and events of which they were"
      + " removed because there was no key (removed).", .counter, labels: ["outcome"])

  public static let catalog: [MetricDeclaration] = [
    keys, cached, erased, failures, waitSeconds, values,
  ]
}
