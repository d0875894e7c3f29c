"""Front doors for HTTP, by what they are about: unwrap, call one act, answer."""
