use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::response::Response;
use hyper::body::{Frame, SizeHint};

use super::{Room, Taken};
use crate::error::{Error, Result};

/// A smaller answer lies in what the kernel takes at once.
pub(crate) const LARGE: usize = 64 * 1024;

/// Marks an answer whose memory is others' too, or was taken before.
#[derive(Clone)]
pub(crate) struct Accounted;

/// Room for an answer, which is refused if there is none.
pub(crate) fn to_answer(answers: &Room, bytes: usize) -> Result<Taken> {
    answers.take(bytes).ok_or_else(|| {
        Error::Unavailable(
            "the broker sends as much at once as it has memory for; repeat the request".to_owned(),
        )
    })
}

/// An answer as it goes out: a large one has its room for as long as it is under way, or is refused.
pub(crate) fn under_way(response: Response, answers: &Room) -> Result<Response> {
    let size = response.body().size_hint().exact().unwrap_or(0);
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    if size < LARGE || response.extensions().get::<Accounted>().is_some() {
        return Ok(response);
    }
    let taken = to_answer(answers, size)?;
    Ok(response.map(|body| {
        Body::new(UnderWay {
            body,
            taken: Some(taken),
        })
    }))
}

/// A body in one piece, which keeps its part of the room until the last of it is out: long after it was handed on to be sent.
struct UnderWay {
    body: Body,
    taken: Option<Taken>,
}

impl HttpBody for UnderWay {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        let polled = Pin::new(&mut this.body).poll_frame(context);
        polled.map_ok(|frame| {
            frame.map_data(|data| match this.taken.take() {
                Some(taken) => held(data, taken),
                None => data,
            })
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Bytes that go with their part of a room, or with their share of one.
pub(crate) fn held(bytes: impl AsRef<[u8]> + Send + 'static, taken: impl Send + 'static) -> Bytes {
    Bytes::from_owner(Held {
        bytes,
        _taken: taken,
    })
}

struct Held<B, T> {
    bytes: B,
    _taken: T,
}

impl<B: AsRef<[u8]>, T> AsRef<[u8]> for Held<B, T> {
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse as _;
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn an_answer_has_its_room_until_the_last_of_it_is_out() {
        let room = Room::new(1024 * 1024);
        let large = || vec![0; 600 * 1024].into_response();
        let body = under_way(large(), &room).expect("room").into_body();
        assert!(under_way(large(), &room).is_err());
        assert!(under_way("small".into_response(), &room).is_ok());
        let bytes = body.collect().await.expect("a body").to_bytes();
        assert!(
            under_way(large(), &room).is_err(),
            "it is handed on, and not yet out"
        );
        drop(bytes);
        assert!(under_way(large(), &room).is_ok());
        assert_eq!(room.taken(), 0);
    }
}
