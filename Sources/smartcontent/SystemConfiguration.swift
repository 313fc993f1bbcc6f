import Collector
import Dataflow
import DecisionAPI
import Definitions
import HTTPServer
import NATSClient
import Notifications
import PostgresClient
import RedisClient

/// What one process runs.
enum Role: String, CaseIterable, Sendable {
  case collect
  case process
  case serve
}

/// Everything that decides what a process does, checked before anything is started.
struct SystemConfiguration: Sendable {
  var roles: Set<Role>
  var definitions: Definitions
  /// Where they are from, to see changes of rules; for what learns. nil: it does not look.
  var definitionsFolder: String?
  var nats: NATSAddress
  var redis: RedisSettings?
  var postgres: PostgresSettings?
  var httpHost: String
  var httpPort: Int
  var httpThreads: Int
  /// Write keys with their sites; for the collector.
  var writeKeys: [WriteKey] = []
  /// The key store's file; for the collector, which takes its keys beside the others, and for the query
  /// API, where it can be changed.
  var keysFile: String?
  /// Where click links may lead; for the collector.
  var redirects = RedirectPolicy.none
  /// Where the collector keeps frames that the log does not take; nil: requests fail.
  var spool: SpoolPlace?
  /// What ids of persons become where a key's policy says so; for the collector.
  var pseudonyms: Pseudonyms?
  /// The secret that keys of persons are wrapped with; for the collector.
  var personKeys: PersonKeyWrapping?
  /// What tokens of decisions are signed with; nil where nothing is decided. For the collector and the query API.
  var decisionSigner: DecisionSigner?
  /// Whether recommendations are learned and answered; for the query API.
  var isRecommending = true
  /// Who says what texts of contents mean; nil: they have their words alone. For the query API.
  var embeddings: EmbeddingEndpoint?
  /// Addresses that people do not have; for the collector.
  var dataCenters = AddressRanges()
  /// Proxies that are believed what they say of their clients.
  var trustedProxies = AddressRanges()
  /// Where Snowplow's trackers post to besides; for the collector.
  var snowplowPaths = SnowplowPaths()
  /// Bearer token of the query API and of the live debugger; none is needed on loopback.
  var queryToken: String?
  /// Whether the query API knows a log, for questions that no read model answers and for feedback.
  var hasLog = true
  /// Who is told of incidents; for the processor.
  var webhooks: [WebhookTarget] = []
  /// Names of the pipelines to run or serve.
  var pipelines: [PipelineSpec]
  /// Folder of snapshots; for the processor, and for what learns.
  var stateFolder: String?
  /// Folder of frames that were trimmed from the log; for the processor and for scans.
  var archiveFolder: String?
  /// Whether a log whose first frames are gone is read from what is left of it.
  var startsWithWhatIsLeft = false
}

/// Write keys as they are given on the command line or in the environment.
enum WriteKeyList {
  /// - Parameter text: `KEY:SITE` or `KEY:SITE:SOURCE`, several with commas; the source, within
  ///   which event ids are unique, is by default the key.
  static func parse(_ text: String, mapping: CompiledMapping) throws(WriteKeyError) -> [WriteKey] {
    var keys: [WriteKey] = []
    for entry in text.split(separator: ",") {
      let parts = entry.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
      guard (2...3).contains(parts.count), parts.allSatisfy({ !$0.isEmpty && $0.utf8.count <= 128 })
      else { throw WriteKeyError(entry: keys.count + 1) }
      keys.append(
        WriteKey(
          key: parts[0], site: parts[1], source: parts.count == 3 ? parts[2] : nil,
          mapping: mapping))
    }
    return keys
  }
}

/// The entry is named by its place: a key is not shown in messages.
struct WriteKeyError: Error, CustomStringConvertible {
  var entry: Int

  var description: String {
    "write key \(entry) is not KEY:SITE or KEY:SITE:SOURCE with 1 to 128 bytes each;"
      + " several are parted by commas"
  }
}
