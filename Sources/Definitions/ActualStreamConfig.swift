import Events

/// A stream's configuration as a server reports it; members that the definitions do not decide
/// are passed over.
struct ActualStreamConfig {
  var name = ""
  var subjects: [String] = []
  var storage = "file"
  var retention = "limits"
  var discard = "old"
  var bytesMax: Int64 = -1
  var messageBytesMax: Int64 = -1
  var messagesMax: Int64 = -1
  var messagesPerSubjectMax: Int64 = -1
  /// Microseconds; 0 for ever.
  var ageMax: Int64 = 0
  /// Microseconds.
  var duplicateWindow: Int64 = 0
  var replicas: Int64 = 1
  var allowsDirect = false
  var metadata: [String: String] = [:]

  /// - Parameter json: the `config` of `$JS.API.STREAM.INFO`, or a whole answer that has it.
  init(json: String) throws(JSONError) {
    let bytes = Array(json.utf8)
    let result = bytes.withUnsafeBytes { buffer in
      Result { () throws(JSONError) in
        var scanner = JSONScanner(buffer)
        var config = ActualStreamConfig()
        try config.read(&scanner)
        try scanner.end()
        return config
      }
    }
    self = try result.get()
  }

  private init() {}

  private mutating func read(_ json: inout JSONScanner) throws(JSONError) {
    try json.beginObject()
    while let key = try json.nextKey() {
      switch key {
      case "config": try read(&json)
      case "name": name = try json.string()
      case "subjects": subjects = try Self.strings(&json)
      case "storage": storage = try json.string()
      case "retention": retention = try json.string()
      case "discard": discard = try json.string()
      case "max_bytes": bytesMax = try json.int64()
      case "max_msg_size": messageBytesMax = try json.int64()
      case "max_msgs": messagesMax = try json.int64()
      case "max_msgs_per_subject": messagesPerSubjectMax = try json.int64()
      case "max_age": ageMax = try json.int64() / 1000
      case "duplicate_window": duplicateWindow = try json.int64() / 1000
      case "num_replicas": replicas = try json.int64()
      case "allow_direct": allowsDirect = try json.bool()
      case "metadata": metadata = try Self.dictionary(&json)
      default: try json.skipValue()
      }
    }
  }

  private static func strings(_ json: inout JSONScanner) throws(JSONError) -> [String] {
    var strings: [String] = []
    if try json.skipNull() { return strings }
    try json.beginArray()
    while try json.nextElement() { strings.append(try json.string()) }
    return strings
  }

  private static func dictionary(
    _ json: inout JSONScanner
  ) throws(JSONError) -> [String: String] {
    var values: [String: String] = [:]
    if try json.skipNull() { return values }
    try json.beginObject()
    while let key = try json.nextKey() { values[key.string] = try json.string() }
    return values
  }
}
