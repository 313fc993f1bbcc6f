import Dataflow
import Ports

/// What a checkpoint says about the log at its sequence: table `checkpoints`.
final class CheckpointRecount: ReadModelRecount {
  private var moments: [StreamPartition: Moment] = [:]

  func end(_ moment: Moment) { moments[moment.stream] = moment }

  func expected(at instant: Instant) -> [ExpectedTable] {
    moments.compactMap { stream, moment in
      guard let checkpoint = instant.checkpoints[stream], checkpoint.sequence == moment.sequence
      else { return nil }
      return ExpectedTable(
        table: StoredTable(
          name: "checkpoints", stream: stream.stream, key: [],
          values: [
            "sequence", "fingerprint_checksum", "fingerprint_stored_at", "log_time", "watermark",
          ].map { StoredColumn($0) }),
        rows: [
          []: ExpectedRow(values: [
            Int64(bitPattern: moment.sequence), Int64(moment.checksum), moment.storedAt,
            moment.logTime, moment.watermark,
          ])
        ])
    }
  }
}
