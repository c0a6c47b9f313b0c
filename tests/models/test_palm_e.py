"""PaLM-E: injection against a loop, the loss and the answers against transformers' own."""

import pytest
import torch

from embedcourse.models.palm_e import (
    IGNORED,
    PaLME,
    PictureEncoder,
    SlotEncoder,
    StateEncoder,
    answer_loss,
    inject,
    padded,
    small_language_model,
    training_sentences,
)

PAD, PLACE, END, WORDS, WIDTH = 0, 1, 2, 12, 16


def tokenize(text):
    return [int(word) for word in text.split()]


@pytest.fixture(params=["llama", "gpt2"])
def model(request, device):
    torch.manual_seed(0)
    language_model = small_language_model(WORDS, architecture=request.param, width=WIDTH, layers=2)
    encoders = {"state": StateEncoder(5, WIDTH, tokens=3), "objects": SlotEncoder(4, WIDTH)}
    return PaLME(language_model, encoders, placeholder=PLACE, pad=PAD, end=END).to(device).eval()


def test_inject_is_the_loop(generator, device):
    embeddings = torch.randn(3, 5, 4, generator=generator).to(device)
    features = torch.randn(4, 4, generator=generator).to(device)
    places = torch.tensor([[0, 1, 0, 0, 1], [0, 0, 0, 0, 0], [1, 0, 1, 0, 0]], device=device).bool()
    expected, number = embeddings.clone(), 0
    for row in range(3):
        for column in range(5):
            if places[row, column]:
                expected[row, column] = features[number]
                number += 1
    assert torch.equal(inject(embeddings, places, features), expected)


def test_gradients_of_injected_places_go_to_the_features(generator):
    embeddings = torch.randn(1, 3, 4, generator=generator, requires_grad=True)
    features = torch.randn(1, 4, generator=generator, requires_grad=True)
    inject(embeddings, torch.tensor([[False, True, False]]), features).sum().backward()
    assert torch.equal(embeddings.grad[0, :, 0], torch.tensor([1.0, 0.0, 1.0]))
    assert torch.equal(features.grad, torch.ones(1, 4))


@pytest.mark.parametrize("count", [0, 1, 3])
def test_counts_are_checked(count):
    with pytest.raises(ValueError, match=f"one for each of 2 places, got {count}"):
        inject(torch.zeros(1, 3, 4), torch.tensor([[True, False, True]]), torch.zeros(count, 4))


def test_padding():
    assert padded([[5], [6, 7]], 0).tolist() == [[5, 0], [6, 7]]
    assert padded([[5], [6, 7]], 0, left=True).tolist() == [[0, 5], [6, 7]]
    with pytest.raises(ValueError, match="rows: expected at least one"):
        padded([], 0)


def test_labels_are_the_answers_alone():
    tokens, labels = training_sentences([[([5, 6], [8, END])], [([7], [9, 9, END])]], PAD)
    assert tokens.tolist() == [[5, 6, 8, END], [7, 9, 9, END]]
    assert labels.tolist() == [[IGNORED, IGNORED, 8, END], [IGNORED, 9, 9, END]]
    tokens, labels = training_sentences([[([5, 6, 7], [END])], [([7], [END])]], PAD)
    assert tokens.tolist() == [[5, 6, 7, END], [7, END, PAD, PAD]]
    assert labels.tolist() == [[IGNORED, IGNORED, IGNORED, END], [IGNORED, END, IGNORED, IGNORED]]
    with pytest.raises(ValueError, match="rows: expected at least one"):
        training_sentences([], PAD)


def test_every_answer_of_a_conversation_is_a_label():
    tokens, labels = training_sentences([[([5, 6], [8, END]), ([7], [9, END])]], PAD)
    assert tokens.tolist() == [[5, 6, 8, END, 7, 9, END]]
    assert labels.tolist() == [[IGNORED, IGNORED, 8, END, IGNORED, 9, END]]


def test_the_loss_is_the_one_of_transformers(model, generator, device):
    tokens = torch.randint(3, WORDS, (4, 7), generator=generator).to(device)
    labels = tokens.clone()
    labels[:, :3] = IGNORED
    labels[0, 5:] = IGNORED
    theirs = model.language_model(input_ids=tokens, labels=labels).loss
    ours = answer_loss(model(tokens, torch.zeros(0, WIDTH, device=device)), labels)
    torch.testing.assert_close(ours, theirs)


def test_the_loss_by_a_loop(generator):
    logits = torch.randn(2, 4, 6, generator=generator, dtype=torch.float64)
    labels = torch.tensor([[IGNORED, IGNORED, 3, 5], [IGNORED, 2, IGNORED, IGNORED]])
    terms = [-logits[row, place - 1].log_softmax(0)[labels[row, place]] for row, place in [(0, 2), (0, 3), (1, 1)]]
    torch.testing.assert_close(answer_loss(logits, labels).double(), torch.stack(terms).mean(), rtol=1e-6, atol=1e-6)
    with pytest.raises(ValueError, match="labels: expected some that count"):
        answer_loss(logits, torch.full((2, 4), IGNORED))


def test_a_sentence_of_words_alone_is_the_language_model(model, generator, device):
    tokens = torch.randint(3, WORDS, (2, 6), generator=generator).to(device)
    expected = model.language_model(input_ids=tokens).logits
    torch.testing.assert_close(model(tokens, torch.zeros(0, WIDTH, device=device)), expected)


def test_training_mode_drops_nothing(model, generator, device):
    tokens = torch.randint(3, WORDS, (2, 6), generator=generator).to(device)
    features = torch.zeros(0, WIDTH, device=device)
    assert torch.equal(model.train()(tokens, features), model.eval()(tokens, features))


def test_the_vectors_of_words_are_the_same_at_both_ends(model):
    language_model = model.language_model
    assert language_model.get_output_embeddings().weight is language_model.get_input_embeddings().weight


def test_an_injected_word_vector_is_that_word(model, device):
    tokens = torch.tensor([[5, 6, 7]], device=device)
    with_place = torch.tensor([[5, PLACE, 7]], device=device)
    injected = model(with_place, model.word_vectors(torch.tensor([[6]], device=device))[0])
    torch.testing.assert_close(injected, model(tokens, torch.zeros(0, WIDTH, device=device)))


def test_sentences_mix_texts_and_observations_in_any_order(model, generator, device):
    state, objects = torch.randn(5, generator=generator), torch.randn(2, 4, generator=generator)
    parts = "5 6", ("objects", objects), "7", ("state", state), ("objects", objects)
    tokens, features = model.read(*parts, tokenize=tokenize)
    assert tokens.tolist() == [[5, 6, PLACE, PLACE, 7, *[PLACE] * 5]]
    torch.testing.assert_close(features[:2], model.encode("objects", objects[None].to(device))[0])
    torch.testing.assert_close(features[2:5], model.encode("state", state[None].to(device))[0])
    torch.testing.assert_close(features[5:], features[:2])
    only_words = model.read("5 6", tokenize=tokenize)
    assert only_words[0].tolist() == [[5, 6]]
    assert only_words[1].shape == (0, WIDTH)
    with pytest.raises(ValueError, match="parts: expected"):
        model.read(tokenize=tokenize)
    with pytest.raises(ValueError, match="kind: expected one of state, objects; got 'smell'"):
        model.read(("smell", state), tokenize=tokenize)


def test_a_place_without_a_feature_is_refused(model, device):
    with pytest.raises(ValueError, match="one for each of 1 places, got 0"):
        model(torch.tensor([[5, PLACE]], device=device), torch.zeros(0, WIDTH, device=device))


def slowly(model, prompt, features, most):
    """Greedy answers, one whole pass for each token."""
    answer = []
    for _ in range(most):
        tokens = torch.tensor([[*prompt, *answer]], device=model.device)
        token = model(tokens, features)[0, -1].argmax().item()
        if token == END:
            break
        answer.append(token)
    return answer


@pytest.mark.parametrize("scale", [1.0, 12.0])
def test_answers_are_the_slow_ones(model, generator, device, scale):
    with torch.no_grad():
        model.language_model.get_input_embeddings().weight.mul_(scale)  # so that answers differ and some end
    prompts = [[5, PLACE, 7], [6, PLACE], [8, 9, 10, PLACE, 4]]
    features = torch.randn(3, WIDTH, generator=generator).to(device)
    answers = model.generate(padded(prompts, PAD, left=True).to(device), features, most=6)
    with torch.no_grad():
        assert answers == [slowly(model, prompt, features[[i]], 6) for i, prompt in enumerate(prompts)]


def test_padding_on_the_right_is_no_prompt(model, device):
    with pytest.raises(ValueError, match="padding on the left"):
        model.generate(padded([[5], [6, 7]], PAD).to(device), torch.zeros(0, WIDTH, device=device))


def test_a_frozen_language_model_stays_to_the_bit_and_the_encoder_learns(model, generator, device):
    model.freeze_language_model()
    before = {name: value.clone() for name, value in model.language_model.state_dict().items()}
    encoder_before = model.encoders["state"].layers[0].weight.clone()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.01)
    tokens, labels = training_sentences([[([5, PLACE, PLACE, PLACE], [7, END])]], PAD)
    losses = []
    for _ in range(20):
        features = model.encode("state", torch.ones(1, 5, device=device))[0]
        loss = answer_loss(model(tokens.to(device), features), labels.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.1
    assert all(torch.equal(value, before[name]) for name, value in model.language_model.state_dict().items())
    assert not torch.equal(model.encoders["state"].layers[0].weight, encoder_before)


def test_encoders_give_tokens_of_the_models_width(generator, device):
    torch.manual_seed(0)
    pictures = torch.rand(2, 3, 32, 32, generator=generator).to(device)
    encoder = PictureEncoder(WIDTH, tokens=4, hidden=8).to(device)
    assert encoder(pictures).shape == (2, 4, WIDTH)
    assert StateEncoder(5, WIDTH, tokens=3).to(device)(torch.rand(2, 5, device=device)).shape == (2, 3, WIDTH)
    assert SlotEncoder(4, WIDTH).to(device)(torch.rand(2, 6, 4, device=device)).shape == (2, 6, WIDTH)


def test_a_slot_is_read_alone(generator):
    torch.manual_seed(0)
    encoder, x = SlotEncoder(4, WIDTH), torch.randn(1, 3, 4, generator=generator)
    order = [2, 0, 1]
    torch.testing.assert_close(encoder(x)[:, order], encoder(x[:, order]))


def test_an_unknown_architecture_is_refused():
    with pytest.raises(ValueError, match="architecture: expected 'llama' or 'gpt2', got 'rnn'"):
        small_language_model(WORDS, architecture="rnn")
