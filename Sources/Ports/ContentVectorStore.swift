/// Vectors of contents' texts in a store that finds the nearest of them: of all contents that ever were, while a process
/// keeps those of late in memory. What is there can be made again, so losing it loses no number.
public protocol ContentVectorStore: Sendable {
  /// For one thread, which may block.
  func writer() -> any ContentVectorWriter

  /// The contents of a site nearest to a vector, the nearest first, within a time that the store bounds.
  func nearest(
    to vector: [Float], site: String, count: Int
  ) async throws(ContentVectorError) -> NearestContents
}

/// Confined to one thread.
public protocol ContentVectorWriter: AnyObject {
  /// What is stored of some contents, in any order.
  func stored(
    _ contents: [String], of site: String
  ) throws(ContentVectorError) -> [StoredContentVector]

  /// Stores vectors in the place of older ones, all or none.
  ///
  /// - Parameter readTo: the position of the log of which all is stored with these; nil where more is to come.
  func write(_ vectors: [StoredContentVector], readTo: String?) throws(ContentVectorError)
}

/// A content's vector.
public struct StoredContentVector: Sendable, Equatable {
  public var site: String
  public var content: String
  /// Of the text and of what the vector was made with: another one is another vector.
  public var digest: String
  /// Of length 1.
  public var vector: [Float]

  public init(site: String, content: String, digest: String, vector: [Float]) {
    self.site = site
    self.content = content
    self.digest = digest
    self.vector = vector
  }
}

/// What a search found.
public struct NearestContents: Sendable, Equatable {
  public var contents: [(content: String, similarity: Double)]
  /// The position of the log up to which vectors are stored; empty where none is.
  public var readTo: String

  public init(contents: [(content: String, similarity: Double)], readTo: String) {
    self.contents = contents
    self.readTo = readTo
  }

  public static func == (left: Self, right: Self) -> Bool {
    left.readTo == right.readTo
      && left.contents.elementsEqual(right.contents) { $0 == $1 }
  }
}

/// Why vectors cannot be stored or found.
public enum ContentVectorError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The server has no index of vectors; it is asked again after some minutes.
  case unsupported(String)
  /// It is away or slow; it is asked again after some seconds.
  case unavailable(String)

  public var description: String {
    switch self {
    case .unsupported(let reason): "vectors cannot be stored there: \(reason)"
    case .unavailable(let reason): "the store of vectors gives no answer: \(reason)"
    }
  }
}
