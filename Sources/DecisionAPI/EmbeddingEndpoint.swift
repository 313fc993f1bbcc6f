import Events
import HTTPClient

/// A server that says what texts mean, in the form of OpenAI's `POST /v1/embeddings`, which many others take too.
///
///     {"model":"…","input":["Ten soups","…"],"encoding_format":"float"} ─▶ {"data":[{"index":0,"embedding":[…]},…]}
public struct EmbeddingEndpoint: Sendable, Equatable {
  public var url: String
  public var model: String
  /// Sent as a bearer token; nil where none is needed.
  public var key: String?

  public init(url: String, model: String, key: String? = nil) {
    self.url = url
    self.model = model
    self.key = key
  }
}

/// Why there is no vector of a text.
enum EmbeddingError: Error, Equatable, CustomStringConvertible {
  case request(HTTPClientError)
  case refused(status: Int)
  /// What it answered is no list of as many vectors.
  case unreadable(String)
  case busy

  var description: String {
    switch self {
    case .request(let error): "the embedding endpoint was not reached: \(error)"
    case .refused(let status):
      "the embedding endpoint answered \(status): check its address, model and key"
    case .unreadable(let reason): "the embedding endpoint's answer cannot be read: \(reason)"
    case .busy: "too many texts wait for the embedding endpoint"
    }
  }
}

/// Asks an ``EmbeddingEndpoint``. Confined to one thread, which waits.
final class EmbeddingClient {
  /// Texts of one request.
  static let textsMax = 64

  private let endpoint: EmbeddingEndpoint
  private let client: HTTPClient

  init(_ endpoint: EmbeddingEndpoint, timeoutMs: Int) throws(EmbeddingError) {
    self.endpoint = endpoint
    do throws(HTTPClientError) {
      client = try HTTPClient(
        HTTPClientSettings(
          connectTimeoutMs: min(2_000, timeoutMs), timeoutMs: timeoutMs,
          responseByteCountMax: 16 << 20))
    } catch {
      throw .request(error)
    }
  }

  /// The vector of each text, in their order.
  func vectors(of texts: [String]) throws(EmbeddingError) -> [[Float]] {
    var headers = [HTTPHeader("Content-Type", "application/json")]
    if let key = endpoint.key { headers.append(HTTPHeader("Authorization", "Bearer \(key)")) }
    let answer: HTTPAnswer
    do throws(HTTPClientError) {
      answer = try client.post(endpoint.url, headers: headers, body: body(texts))
    } catch {
      throw .request(error)
    }
    guard answer.status == 200 else { throw .refused(status: answer.status) }
    return try Self.vectors(in: answer.body, count: texts.count)
  }

  private func body(_ texts: [String]) -> [UInt8] {
    var json = JSONWriter(reserving: 64 * texts.count + 64)
    json.beginObject()
    json.key("model")
    json.string(endpoint.model)
    json.key("input")
    json.beginArray()
    for text in texts { json.string(text) }
    json.endArray()
    json.key("encoding_format")
    json.string("float")
    json.endObject()
    return json.bytes
  }

  static func vectors(in body: [UInt8], count: Int) throws(EmbeddingError) -> [[Float]] {
    let tree: JSONTree
    do throws(JSONError) {
      tree = try JSONTree(body)
    } catch {
      throw .unreadable("\(error)")
    }
    guard case .array(let items)? = tree["data"] else { throw .unreadable("it has no list `data`") }
    var vectors = [[Float]](repeating: [], count: count)
    for (place, item) in items.enumerated() {
      guard case .array(let numbers)? = item["embedding"] else {
        throw .unreadable("an element of `data` has no list `embedding`")
      }
      var index = place
      if case .number(let number, _)? = item["index"] { index = Int(exactly: number) ?? -1 }
      guard vectors.indices.contains(index) else { throw .unreadable("an `index` is out of range") }
      vectors[index] = numbers.map(Self.number)
    }
    guard vectors.allSatisfy({ !$0.isEmpty }) else {
      throw .unreadable("it has fewer vectors than there were texts")
    }
    return vectors
  }

  private static func number(_ tree: JSONTree) -> Float {
    guard case .number(let number, _) = tree else { return 0 }
    return Float(number)
  }
}
