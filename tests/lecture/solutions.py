"""The exercises solved, cell by cell."""

SOLVED = {
    "fgsm": (
        """
def fgsm(net, x, y, eps):
    x = x.clone().requires_grad_()
    loss = F.cross_entropy(net(x), y, reduction="sum")
    (grad,) = torch.autograd.grad(loss, x)
    return (x + eps * grad.sign()).clamp(0, 1).detach()


changed = fgsm(net, x, y, 0.1)
""",
        "curve = [(net(fgsm(net, x, y, e)).argmax(1) == y).float().mean().item() for e in EPS]",
    ),
    "segmentation": (
        """
def saliency(net, x, here=None):
    x = x.clone().requires_grad_()
    scores = net(x)
    here = scores.argmax(1) == REGION if here is None else here
    (grad,) = torch.autograd.grad(scores[:, REGION][here].mean(), x)
    return grad


heat = saliency(net, x)
""",
        """
torch.manual_seed(0)
here = scores.argmax(1) == REGION
spread = SIGMA * (x.max() - x.min())
smooth = torch.zeros_like(x)
for _ in range(COPIES):
    smooth += saliency(net, x + spread * torch.randn_like(x), here) / COPIES
""",
    ),
}
