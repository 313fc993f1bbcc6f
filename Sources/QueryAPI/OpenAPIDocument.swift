/// placeholder while the document is being written
enum OpenAPIDocument {
  static let text = "{}"
}
