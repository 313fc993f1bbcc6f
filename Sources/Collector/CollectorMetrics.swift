public import Metrics

/// Every metric of the collector.
public enum CollectorMetrics {
  public static let requests = MetricDeclaration(
    "smartcontent_ingest_requests_total",
    "Ingest requests by protocol and outcome (stored, rejected, unknown_key, limited, refused,"
      + " unavailable).",
    .counter, labels: ["protocol", "outcome"])
  public static let events = MetricDeclaration(
    "smartcontent_ingest_events_total", "Events that were acknowledged as durable, by protocol.",
    .counter, labels: ["protocol"])
  public static let rejected = MetricDeclaration(
    "smartcontent_ingest_rejected_events_total",
    "Events that went to the dead letters, by protocol, id of the write key and reason.", .counter,
    labels: ["protocol", "key", "reason"], maxSeries: 2000)
  public static let rejectedRequests = MetricDeclaration(
    "smartcontent_ingest_rejected_requests_total",
    "Requests of which nothing was stored, by protocol, id of the write key (none: not known) and"
      + " reason, such as unknown_write_key, origin_not_allowed, rate_limited, share_exceeded, overloaded and"
      + " log_unavailable.",
    .counter, labels: ["protocol", "key", "reason"], maxSeries: 2000)
  public static let keyEvents = MetricDeclaration(
    "smartcontent_ingest_key_events_total",
    "Events that were acknowledged as durable, by id of the write key (other: the keys beyond the"
      + " first 50).", .counter, labels: ["key"])
  public static let dropped = MetricDeclaration(
    "smartcontent_ingest_dropped_events_total",
    "Events that were not stored on purpose, by protocol and reason (such as do_not_track).",
    .counter, labels: ["protocol", "reason"])
  public static let unnamed = MetricDeclaration(
    "smartcontent_ingest_unnamed_events_total",
    "Events that were acknowledged as durable though no line of the mapping names them, by protocol: they count"
      + " as custom, for no metric.", .counter, labels: ["protocol"])
  public static let verdicts = MetricDeclaration(
    "smartcontent_ingest_verdicts_total",
    "Events that were acknowledged as durable, by what was said of their senders: person, not_judged, or"
      + " each reason for a bot, of which an event may have several.", .counter,
    labels: ["verdict"])
  public static let frames = MetricDeclaration(
    "smartcontent_ingest_frames_total",
    "Frames by stream and outcome (stored, duplicate, unavailable, full, sealed, expired).",
    .counter,
    labels: ["stream", "outcome"])
  public static let frameBytes = MetricDeclaration(
    "smartcontent_ingest_frame_bytes", "Length of published frames in bytes.",
    .histogram(bounds: [512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072]))
  public static let frameEvents = MetricDeclaration(
    "smartcontent_ingest_frame_events", "Events per published frame.",
    .histogram(bounds: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 4096]))
  public static let publishSeconds = MetricDeclaration(
    "smartcontent_ingest_publish_seconds",
    "From publishing a frame to its acknowledgement, in seconds.",
    .histogram(
      bounds: [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]))
  public static let inFlight = MetricDeclaration(
    "smartcontent_ingest_frames_in_flight",
    "Frames that are published and not yet acknowledged, by stream.", .gauge, labels: ["stream"])
  public static let waitingBytes = MetricDeclaration(
    "smartcontent_ingest_waiting_bytes", "Bytes of events that wait for a frame, by stream.",
    .gauge, labels: ["stream"])

  public static let spoolFrames = MetricDeclaration(
    "smartcontent_ingest_spool_frames_total",
    "Frames by what became of them in the spool (spooled, drained, refused: it was full or could not"
      + " be written).", .counter, labels: ["outcome"])
  public static let spoolWaitingFrames = MetricDeclaration(
    "smartcontent_ingest_spool_waiting_frames", "Frames in the spool that the log has not yet.",
    .gauge)
  public static let spoolBytes = MetricDeclaration(
    "smartcontent_ingest_spool_bytes", "Bytes of the spool's files.", .gauge)
  public static let spoolLimitBytes = MetricDeclaration(
    "smartcontent_ingest_spool_limit_bytes", "Bytes that the spool's files may have.", .gauge)
  public static let spoolOldestSeconds = MetricDeclaration(
    "smartcontent_ingest_spool_oldest_seconds",
    "Age of the oldest frame in the spool in seconds; 0 where it is empty.", .gauge)
  public static let spoolTornBytes = MetricDeclaration(
    "smartcontent_ingest_spool_torn_bytes",
    "Bytes that were cut off torn spool files at the start; none of them was acknowledged.", .gauge)
  public static let spoolDamagedFrames = MetricDeclaration(
    "smartcontent_ingest_spool_damaged_frames",
    "Acknowledged frames that the spool's disk has lost.", .gauge)

  public static let catalog: [MetricDeclaration] = [
    requests, events, rejected, rejectedRequests, keyEvents, dropped, unnamed, verdicts, frames,
    frameBytes,
    frameEvents, publishSeconds, inFlight, waitingBytes, spoolFrames, spoolWaitingFrames,
    spoolBytes, spoolLimitBytes, spoolOldestSeconds, spoolTornBytes, spoolDamagedFrames,
  ]
}
